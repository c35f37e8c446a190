/** Who wants to be told of what. A listener that throws stops nobody else: its error is thrown where nobody waits. */
export class Emitter<Events> {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls `listener` for every event of this name; gives what ends that. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const of = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, of);
    of.add(listener);
    return () => void of.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        (listener as (event: Events[Name]) => void)(event);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }
}
