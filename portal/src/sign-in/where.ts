/** Where to go after signing in: a path of ours, or Home. A link must lead nobody elsewhere. */
export function returnPath(search: string): string {
  const wanted = new URLSearchParams(search).get('return') ?? '/';
  // Browsers read a backslash as a slash and drop tabs and line ends, so `/\host` would leave us.
  if (!/^\/(?![/\\])[^\\\t\r\n]*$/.test(wanted) || wanted.startsWith('/sign-in')) return '/';
  return wanted;
}
