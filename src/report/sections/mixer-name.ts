import type { CustomSpec, MixerSpec } from '../../mixers/spec.ts';
import { counted } from '../text.ts';

/** A mixer's name in running text. */
export function mixerName(spec: MixerSpec): string {
  switch (spec.kind) {
    case 'attention':
      return 'full attention';
    case 'sliding_window':
      return `attention over a window of ${spec.window} tokens${spec.sinks ? ` and the first ${spec.sinks}` : ''}`;
    case 'window_linear':
      return `${mixerName({ ...spec, kind: 'sliding_window' })} + ${mixerName(spec.linear)}`;
    case 'head_attention':
      return `attention of which ${counted(spec.fullHeads.length, 'KV head')} ${spec.fullHeads.length === 1 ? 'sees' : 'see'} all tokens (${spec.fullHeads.join(', ')}), the others ${spec.window}${spec.sinks ? ` and the first ${spec.sinks}` : ''}`;
    case 'retnet':
      return 'RetNet';
    case 'gla':
      return 'gated linear attention';
    case 'deltanet':
      return 'DeltaNet';
    case 'gated_deltanet':
      return 'Gated DeltaNet';
    case 'jet_block':
      return 'JetBlock';
    case 'mamba2':
      return 'Mamba2';
    case 'kda':
      return 'Kimi Delta Attention';
    case 'rwkv7':
      return 'RWKV7';
    default:
      // One from outside, or newer than this report, is called what it calls itself.
      return (spec satisfies CustomSpec).kind;
  }
}
