import { Button, makeStyles } from '@fluentui/react-components';
import { useLocation } from 'react-router';

import { useSession } from '../api/session';
import { Notice } from '../ui/states';
import { useOrganisation } from './useOrganisation';

const useStyles = makeStyles({
  place: { padding: '12px 24px 0', '@media (max-width: 640px)': { padding: '10px 12px 0' } },
});

/** A link of a mail can say whose it is (NOT-9): who belongs there as well is offered to change over. */
export function Elsewhere() {
  const styles = useStyles();
  const { organisation, memberships } = useSession();
  const { pathname, search } = useLocation();
  const change = useOrganisation();
  const params = new URLSearchParams(search);
  const meant = params.get('tid');
  const there = memberships.find((one) => one.organisationId === meant);
  if (!there || there.organisationId === organisation.id) return null;
  params.delete('tid');
  const to = [pathname, params.toString()].filter(Boolean).join('?');
  return (
    <div className={styles.place} data-screen>
      <Notice
        intent="warning"
        title={`This link is of ${there.name}.`}
        action={
          <Button disabledFocusable={change.isPending} onClick={() => change.mutate({ id: there.organisationId, to })}>
            {change.isPending ? 'Changing…' : `Change to ${there.name}`}
          </Button>
        }
      >
        You are in {organisation.name}, where it may lead to something else or nowhere.
      </Notice>
    </div>
  );
}
