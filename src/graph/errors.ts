/** A mistake in how a graph is put together, reported where the op is recorded, or in what a program is given. */
export class GraphError extends Error {
  override name = 'GraphError';
}
