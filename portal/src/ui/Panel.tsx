import {
  Button,
  DrawerBody,
  DrawerFooter,
  DrawerHeader,
  DrawerHeaderTitle,
  OverlayDrawer,
  makeStyles,
} from '@fluentui/react-components';
import { ChevronDownRegular, ChevronUpRegular, DismissRegular } from '@fluentui/react-icons';
import { useEffect, useEffectEvent, type ReactNode } from 'react';

import { useReturn } from './useReturn';

const useStyles = makeStyles({
  drawer: { width: 'min(560px, 100vw)' },
  wide: { width: 'min(760px, 100vw)' },
  body: { display: 'flex', flexDirection: 'column', gap: '16px', paddingBottom: '24px', paddingTop: '4px' },
  title: { overflowWrap: 'anywhere' },
  tools: { display: 'flex', flexShrink: 0 },
  footer: { flexWrap: 'wrap' },
});

type Props = {
  title: string;
  open: boolean;
  onClose: () => void;
  /** The neighbours in the list the pane was opened from; null at its ends. */
  step?: { previous: (() => void) | null; next: (() => void) | null };
  wide?: boolean;
  footer?: ReactNode;
  children: ReactNode;
};

/**
 * A pane at the side, over the page. Its buttons have titles and no tooltips: the first Escape would
 * only close the tooltip of the button that has the focus.
 */
export function Panel({ title, open, onClose, step, wide, footer, children }: Props) {
  const styles = useStyles();
  useReturn(open);
  const key = useEffectEvent((event: KeyboardEvent) => {
    if (!event.altKey || !step) return;
    const go = event.key === 'ArrowUp' ? step.previous : event.key === 'ArrowDown' ? step.next : null;
    if (!go) return;
    event.preventDefault();
    go();
  });
  useEffect(() => {
    if (!open) return;
    const listen = (event: KeyboardEvent) => key(event);
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [open]);
  return (
    <OverlayDrawer
      position="end"
      open={open}
      onOpenChange={(_, data) => !data.open && onClose()}
      className={wide ? styles.wide : styles.drawer}
      aria-label={title}
      data-pane
    >
      <DrawerHeader>
        <DrawerHeaderTitle
          className={styles.title}
          action={
            <div className={styles.tools}>
              {step && (
                <>
                  <Button
                    appearance="subtle"
                    icon={<ChevronUpRegular />}
                    aria-label="Previous"
                    title="Previous (Alt and an arrow key)"
                    disabledFocusable={!step.previous}
                    onClick={() => step.previous?.()}
                  />
                  <Button
                    appearance="subtle"
                    icon={<ChevronDownRegular />}
                    aria-label="Next"
                    title="Next (Alt and an arrow key)"
                    disabledFocusable={!step.next}
                    onClick={() => step.next?.()}
                  />
                </>
              )}
              <Button appearance="subtle" icon={<DismissRegular />} aria-label="Close" title="Close (Esc)" onClick={onClose} />
            </div>
          }
        >
          {title}
        </DrawerHeaderTitle>
      </DrawerHeader>
      {/* Read with the keyboard alone, also where nothing in it takes the focus. */}
      <DrawerBody tabIndex={0}>
        <div className={styles.body}>{children}</div>
      </DrawerBody>
      {footer && <DrawerFooter className={styles.footer}>{footer}</DrawerFooter>}
    </OverlayDrawer>
  );
}
