/**
 * Numbers below 1.2e-38 are computed by most processors some hundred times slower than others, and masks and decays make many of
 * them: e^-104 is the least that ONNX Runtime gives. It can have them be zeros, but not for its threads alone: the thread
 * that makes the first session is one of them, so that JavaScript has no such numbers either from then on. That is for the
 * owner of a process to decide: the commands of this package do, the library by itself does not.
 */

let flushed = false;

/** Has all numbers below 1.2e-38 be zero in this process, JavaScript's below 2.3e-308 too. Before the first program. */
export function flushDenormals(): void {
  flushed = true;
}

/** Whether they are. */
export function denormalsAreZero(): boolean {
  return flushed;
}

/** @internal What ONNX Runtime's sessions are told. */
export function denormalOptions(): Record<string, string> {
  return flushed ? { set_denormal_as_zero: '1' } : {};
}
