import {
  Button,
  DrawerBody,
  DrawerFooter,
  DrawerHeader,
  DrawerHeaderTitle,
  OverlayDrawer,
  Tooltip,
  makeStyles,
} from '@fluentui/react-components';
import { ChevronDownRegular, ChevronUpRegular, DismissRegular } from '@fluentui/react-icons';
import type { ReactNode } from 'react';

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

/** A pane at the side, over the page. */
export function Panel({ title, open, onClose, step, wide, footer, children }: Props) {
  const styles = useStyles();
  return (
    <OverlayDrawer
      position="end"
      open={open}
      onOpenChange={(_, data) => !data.open && onClose()}
      className={wide ? styles.wide : styles.drawer}
      aria-label={title}
    >
      <DrawerHeader>
        <DrawerHeaderTitle
          className={styles.title}
          action={
            <div className={styles.tools}>
              {step && (
                <>
                  <Tooltip content="Previous" relationship="label">
                    <Button
                      appearance="subtle"
                      icon={<ChevronUpRegular />}
                      disabledFocusable={!step.previous}
                      onClick={() => step.previous?.()}
                    />
                  </Tooltip>
                  <Tooltip content="Next" relationship="label">
                    <Button
                      appearance="subtle"
                      icon={<ChevronDownRegular />}
                      disabledFocusable={!step.next}
                      onClick={() => step.next?.()}
                    />
                  </Tooltip>
                </>
              )}
              <Tooltip content="Close" relationship="label">
                <Button appearance="subtle" icon={<DismissRegular />} onClick={onClose} />
              </Tooltip>
            </div>
          }
        >
          {title}
        </DrawerHeaderTitle>
      </DrawerHeader>
      <DrawerBody>
        <div className={styles.body}>{children}</div>
      </DrawerBody>
      {footer && <DrawerFooter className={styles.footer}>{footer}</DrawerFooter>}
    </OverlayDrawer>
  );
}
