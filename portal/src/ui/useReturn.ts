import { useLayoutEffect } from 'react';

const SOON_MS = 30;
const LONG_ENOUGH_MS = 1_000;

/** Who opened what was opened last: a second dialog may follow a first that is gone already. */
let opener: HTMLElement | null = null;

/** What has the focus; for an item of a menu, which goes away, the button of the menu. */
function holder(): HTMLElement | null {
  const now = document.activeElement;
  if (!(now instanceof HTMLElement) || now === document.body) return null;
  const trigger = now.closest('[role="menu"]')?.getAttribute('aria-labelledby');
  return (trigger && document.getElementById(trigger)) || now;
}

/**
 * Whether a dialog is in front of something. To focus what is behind one hides the dialog from screen
 * readers: one that was opened right after another has not taken the focus yet.
 */
function covered(it: HTMLElement): boolean {
  const front = [...document.querySelectorAll('[role="dialog"], [role="alertdialog"]')].at(-1);
  return front !== undefined && !front.contains(it);
}

/**
 * Gives the focus back to where it was when `open` began, unless it went somewhere by itself. Fluent
 * does so for a dialog with its own trigger; ours are opened by addresses, menus and rows too.
 */
export function useReturn(open: boolean): void {
  // Before the effect in which the dialog takes the focus.
  useLayoutEffect(() => {
    if (!open) return;
    opener = holder() ?? opener;
    const to = opener;
    const pane = to?.closest('[data-pane]');
    return () => {
      const until = Date.now() + LONG_ENOUGH_MS;
      const look = () => {
        const now = holder();
        // A pane that is open still has the focus to itself: the row that it was opened from is not
        // where the focus came from.
        const strayed = pane?.isConnected && now !== null && !now.closest('[role="dialog"]');
        // A drawer keeps the focus while it slides away.
        if ((now === null || strayed) && to?.isConnected && !covered(to)) to.focus();
        else if (Date.now() < until) setTimeout(look, SOON_MS);
      };
      setTimeout(look, SOON_MS);
    };
  }, [open]);
}
