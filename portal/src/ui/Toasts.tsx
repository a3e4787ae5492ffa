import {
  Link,
  Toast,
  ToastTitle,
  ToastTrigger,
  Toaster,
  useToastController,
  type ToastIntent,
} from '@fluentui/react-components';

import { messageOf } from '../api/error';

const ID = 'toasts';

/** The one place where short messages appear. */
export function Toasts() {
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
                <Link as="button" onClick={action.do}>
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
