import { useEffect, useEffectEvent } from 'react';

/** What a form holds that is not saved yet, for a page around it that saves or leaves it. */
export type Unsaved = { save: () => Promise<void> };
export type OnUnsaved = (unsaved: Unsaved | null) => void;

/** Tells the page around a form what would be saved, as it is now; nothing once the form is gone. */
export function useUnsaved(tell: OnUnsaved | undefined, dirty: boolean, save: () => Promise<void>): void {
  const now = useEffectEvent(save);
  const said = useEffectEvent((unsaved: Unsaved | null) => tell?.(unsaved));
  useEffect(() => {
    said(dirty ? { save: () => now() } : null);
    return () => said(null);
  }, [dirty]);
}
