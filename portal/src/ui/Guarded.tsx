import { Button, MenuItem, Tooltip, type ButtonProps, type MenuItemProps } from '@fluentui/react-components';
import { useState, type ReactNode } from 'react';

import { sentence } from '../api/error';

/** Whether a control may be used now and, if not, why not. The server decides. */
export type Leave = { allowed: boolean; because?: string | null };

const NO_REASON = 'This is not possible now.';

type Props = ButtonProps & {
  /** Absent while it is not known yet: then the button waits, greyed. */
  may: Leave | undefined;
  /** Something is under way. */
  busy?: boolean;
  children?: ReactNode;
};

/** A button that says why it cannot be used instead of disappearing; it keeps its place in the tab order. */
export function GuardedButton({ may, busy, children, ...rest }: Props) {
  const [shown, setShown] = useState(false);
  const refused = !may?.allowed;
  const because = may && refused ? sentence(may.because ?? NO_REASON) : null;
  // One tree for both: a button that is refused while it has the focus keeps it.
  return (
    <Tooltip
      content={because ?? ''}
      relationship={because ? 'description' : 'inaccessible'}
      withArrow
      visible={shown && because !== null}
      onVisibleChange={(_, data) => setShown(data.visible)}
    >
      <Button {...(rest as object)} disabledFocusable={refused || busy || rest.disabledFocusable}>
        {children}
      </Button>
    </Tooltip>
  );
}

export function GuardedMenuItem({ may, children, ...rest }: MenuItemProps & { may: Leave | undefined }) {
  const refused = !may?.allowed;
  const item = (
    <MenuItem {...rest} disabled={refused} subText={refused ? sentence(may?.because ?? NO_REASON) : undefined}>
      {children}
    </MenuItem>
  );
  return item;
}
