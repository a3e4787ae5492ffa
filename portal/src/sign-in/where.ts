/** Where to go after signing in: a path of ours, or Home. A link must lead nobody elsewhere. */
export function returnPath(search: string): string {
  const wanted = new URLSearchParams(search).get('return') ?? '/';
  // Browsers read a backslash as a slash and drop tabs and line ends, so `/\host` would leave us.
  if (!/^\/(?![/\\])[^\\\t\r\n]*$/.test(wanted) || wanted.startsWith('/sign-in')) return '/';
  return wanted;
}

/** The way to an identity provider and back to `back`; with `fresh` it asks for a proof anew. */
export function providerPath(id: string, back: string, fresh = false): string {
  const query = new URLSearchParams({ return: back, ...(fresh && { fresh: 'true' }) });
  return `/sign-in/oidc/${encodeURIComponent(id)}?${query}`;
}
