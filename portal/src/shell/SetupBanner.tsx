import { makeStyles } from '@fluentui/react-components';
import { useLocation } from 'react-router';

import { useSession } from '../api/session';
import { Go } from '../ui/Go';
import { Notice } from '../ui/states';

const useStyles = makeStyles({
  place: { padding: '12px 24px 0', '@media (max-width: 640px)': { padding: '10px 12px 0' } },
});

/** Until the service runs: what is awaited, and from whom (ONB-5). */
export function SetupBanner() {
  const styles = useStyles();
  const { organisation, permissions } = useSession();
  const { pathname } = useLocation();
  const { stage } = organisation;
  if (stage === null || stage === 'active' || pathname === '/onboarding' || pathname === '/settings/service') return null;
  const administers = permissions.includes('Grant.ReadWrite');
  const setUp = stage === 'invited' || stage === 'setUp';
  return (
    <div className={styles.place} data-screen>
      {setUp && administers ? (
        <Notice intent="warning" title="The setup is not finished.">
          Until it is submitted experts only look. <Go inline to="/onboarding">{stage === 'invited' ? 'Begin the setup' : 'Go on with the setup'}</Go>
        </Notice>
      ) : setUp ? (
        <Notice title="The service is being set up.">A Security Administrator of your organisation goes through the setup; until then experts only look.</Notice>
      ) : stage === 'readinessPending' ? (
        <Notice intent="warning" title="The service has not begun.">
          Something it needs is missing; until then experts only look. <Go inline to="/settings/service">See what is needed</Go>
        </Notice>
      ) : (
        <Notice title="Your organisation is being monitored.">
          Experts learn what is normal there. They tell you what to do, and do not act themselves yet. <Go inline to="/settings/service">Service status</Go>
        </Notice>
      )}
    </div>
  );
}
