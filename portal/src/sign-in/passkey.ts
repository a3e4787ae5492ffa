import { useState } from 'react';

import { api, read } from '../api/client';
import type { Session } from '../api/hand';
import { explain, get } from '../api/passkey';

/** Asks for a passkey, of whomever, and gives the session it opens. */
export function usePasskey(onDone: (session: Session) => void) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    setError(null);
    try {
      const begun = await read(api.POST('/api/v1/sign-in/passkey/begin', { body: {} }));
      const credential = await get(begun.publicKey);
      onDone(await read(api.POST('/api/v1/sign-in/passkey/finish', { body: { flow: begun.flow, credential } })));
    } catch (refused) {
      setError(new Error(explain(refused)));
    } finally {
      setBusy(false);
    }
  };
  return { ask, busy, error };
}
