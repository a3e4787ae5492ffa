/** What somebody chose last in this browser. Where it keeps nothing, the address has it all the same. */
export function remembered(key: string): string[] | null {
  try {
    return localStorage.getItem(key)?.split(',') ?? null;
  } catch {
    return null;
  }
}

export function remember(key: string, ids: string[]): void {
  try {
    localStorage.setItem(key, ids.join(','));
  } catch {
    // Then it is chosen anew next time.
  }
}
