/**
 * Characters that show a text as another than it is: they turn the direction of what follows, or
 * cannot be seen. A file called `gnp.exe` must not read `exe.png`, so they are written out.
 *
 * Joiners and direction marks stay: languages and emoji need them, and they turn nothing.
 */
const DISGUISES = /[\u202A-\u202E\u2066-\u2069\u200B\u2060\uFEFF]/g;

export function plain(text: string): string {
  return text.replace(DISGUISES, (c) => `[U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`);
}
