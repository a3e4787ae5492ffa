/** What the server refused, in the one shape that all of the portal handles. */
export class Refusal extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly code: string,
    readonly requestId: string | null,
    /** Seconds to wait before trying again. */
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

/** A permission is missing. The message names it as programs know it, which says nothing to people. */
export const NOT_OF_THE_ROLE = 'Authorization_RequestDenied';

type Body = {
  error?: { code?: string; message?: string; innerError?: { 'request-id'?: string } };
};

export async function refusalOf(response: Response): Promise<Refusal> {
  let body: Body = {};
  try {
    body = (await response.clone().json()) as Body;
  } catch {
    // A proxy's page, or nothing at all: the status has to do.
  }
  const wait = Number(response.headers.get('retry-after'));
  const message = body.error?.code === NOT_OF_THE_ROLE ? 'Your role does not include this.' : body.error?.message;
  return new Refusal(
    sentence(message ?? '') || `The server answered ${response.status}.`,
    response.status,
    body.error?.code ?? '',
    body.error?.innerError?.['request-id'] ?? response.headers.get('request-id'),
    Number.isFinite(wait) && wait > 0 ? wait : null,
  );
}

/** The server's messages are lower case without a full stop; here they stand alone. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return '';
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Something went wrong.';
}
