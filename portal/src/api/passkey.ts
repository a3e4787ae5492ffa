/** Passkeys: the browser's own JSON helpers, or the same done by hand where they are missing. */

type Json = Record<string, unknown>;

function bytes(text: unknown): ArrayBuffer {
  const plain = atob(String(text).replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0)).buffer;
}

export function base64url(buffer: ArrayBuffer): string {
  let plain = '';
  for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
  return btoa(plain).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

function descriptors(list: unknown): PublicKeyCredentialDescriptor[] {
  return Array.isArray(list)
    ? list.map((one: Json) => ({ ...one, id: bytes(one.id) }) as unknown as PublicKeyCredentialDescriptor)
    : [];
}

/** Some servers wrap the options in `publicKey` once more. */
function unwrapped(given: Json): Json {
  return typeof given.publicKey === 'object' && given.publicKey !== null ? (given.publicKey as Json) : given;
}

type Helpers = {
  parseCreationOptionsFromJSON?: (options: Json) => PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?: (options: Json) => PublicKeyCredentialRequestOptions;
};

export const supported = (): boolean => typeof PublicKeyCredential !== 'undefined';

export async function create(given: Json): Promise<Json> {
  const json = unwrapped(given);
  const parse = (PublicKeyCredential as unknown as Helpers).parseCreationOptionsFromJSON;
  const user = json.user as Json;
  const publicKey = parse
    ? parse.call(PublicKeyCredential, json)
    : ({
        ...json,
        challenge: bytes(json.challenge),
        user: { ...user, id: bytes(user.id) },
        excludeCredentials: descriptors(json.excludeCredentials),
      } as unknown as PublicKeyCredentialCreationOptions);
  return asJson(await navigator.credentials.create({ publicKey }));
}

export async function get(given: Json): Promise<Json> {
  const json = unwrapped(given);
  const parse = (PublicKeyCredential as unknown as Helpers).parseRequestOptionsFromJSON;
  const publicKey = parse
    ? parse.call(PublicKeyCredential, json)
    : ({
        ...json,
        challenge: bytes(json.challenge),
        allowCredentials: descriptors(json.allowCredentials),
      } as unknown as PublicKeyCredentialRequestOptions);
  return asJson(await navigator.credentials.get({ publicKey }));
}

function asJson(credential: Credential | null): Json {
  if (!credential) throw new Error('No passkey was chosen.');
  const key = credential as PublicKeyCredential;
  if (typeof key.toJSON === 'function') return key.toJSON() as unknown as Json;
  const response: Json = {};
  for (const member of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    const value = (key.response as unknown as Json)[member];
    if (value instanceof ArrayBuffer) response[member] = base64url(value);
  }
  return {
    id: key.id,
    rawId: base64url(key.rawId),
    type: key.type,
    authenticatorAttachment: key.authenticatorAttachment,
    clientExtensionResults: key.getClientExtensionResults(),
    response,
  };
}

/** The browser's refusals are written for developers. */
export function explain(error: unknown): string {
  if (error instanceof DOMException) {
    if (error.name === 'NotAllowedError') return 'The passkey was not used: it was cancelled or took too long.';
    if (error.name === 'InvalidStateError') return 'This device already has a passkey for you.';
    if (error.name === 'SecurityError') return 'Passkeys work only at the address this server was set up with.';
  }
  return error instanceof Error ? error.message : 'The passkey could not be used.';
}
