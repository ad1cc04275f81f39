// In tests and `npm run dev` a thread needs a loader of TypeScript of its own: it does not have that of the process.
import { register } from 'tsx/esm/api';

register();
const { default: read } = await import('./worker.ts');
export default read;
