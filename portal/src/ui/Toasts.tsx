import {
  Link,
  Toast,
  ToastTitle,
  ToastTrigger,
  Toaster,
  useToastController,
  type ToastIntent,
} from '@fluentui/react-components';

import { useEffect } from 'react';

import { messageOf } from '../api/error';

const ID = 'toasts';

/** What had the focus before a message took it. */
let outside: HTMLElement | null = null;

/**
 * A message that goes away with the focus in it would hand it to the next message, out of a dialog
 * that was opened meanwhile; so it is given back first.
 */
function giveBack(): void {
  if (outside?.isConnected) outside.focus();
  else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

/** The one place where short messages appear. */
export function Toasts() {
  useEffect(() => {
    const listen = ({ target }: FocusEvent) => {
      if (target instanceof HTMLElement && !target.closest('.fui-Toaster')) outside = target;
    };
    document.addEventListener('focusin', listen);
    return () => document.removeEventListener('focusin', listen);
  }, []);
  return <Toaster toasterId={ID} position="bottom-end" pauseOnHover pauseOnWindowBlur limit={4} />;
}

/** Says that something was done, with the way back where there is one; or that it was not. */
export function useToasts() {
  const { dispatchToast } = useToastController(ID);
  const show = (text: string, intent: ToastIntent, action?: { label: string; do: () => void }) =>
    dispatchToast(
      <Toast>
        <ToastTitle
          action={
            action && (
              <ToastTrigger>
                <Link
                  as="button"
                  onClick={() => {
                    giveBack();
                    action.do();
                  }}
                >
                  {action.label}
                </Link>
              </ToastTrigger>
            )
          }
        >
          {text}
        </ToastTitle>
      </Toast>,
      { intent, timeout: intent === 'error' ? 12_000 : action ? 10_000 : 4_000 },
    );
  return {
    done: (text: string, undo?: () => void) => show(text, 'success', undo && { label: 'Undo', do: undo }),
    fail: (error: unknown) => show(messageOf(error), 'error'),
  };
}
