import { Button, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';

import { APPROVALS, LEVELS } from '../api/access-words';
import { api, read } from '../api/client';
import { Moment } from '../ui/Moment';
import { Facts } from '../ui/Facts';
import { Section } from '../ui/Section';
import { Failure, Waiting } from '../ui/states';
import type { Place } from './words';

const useStyles = makeStyles({
  muted: { color: tokens.colorNeutralForeground2 },
});

/** What was chosen in each step, as the settings have it now. */
export function Review({ onEdit }: { onEdit: (place: Place) => void }) {
  const styles = useStyles();
  const grant = useQuery({ queryKey: ['grant'], queryFn: () => read(api.GET('/api/v1/grant')) });
  const authority = useQuery({ queryKey: ['authority'], queryFn: () => read(api.GET('/api/v1/authority')) });
  const exclusions = useQuery({ queryKey: ['exclusions', 'all'], queryFn: () => read(api.GET('/api/v1/exclusions')) });
  const contacts = useQuery({ queryKey: ['contacts'], queryFn: ({ signal }) => read(api.GET('/api/v1/contacts', { signal })) });
  const webhooks = useQuery({ queryKey: ['webhooks'], queryFn: ({ signal }) => read(api.GET('/api/v1/webhooks', { signal })) });
  const chats = useQuery({ queryKey: ['chat-channels'], queryFn: ({ signal }) => read(api.GET('/api/v1/chat-channels', { signal })) });
  const all = [grant, authority, exclusions, contacts, webhooks, chats];
  const failed = all.find((one) => one.isError);
  if (failed) return <Failure error={failed.error} retry={() => all.forEach((one) => void one.refetch())} />;
  if (!grant.data || !authority.data || !exclusions.data || !contacts.data || !webhooks.data || !chats.data) return <Waiting rows={8} />;
  const change = (place: Place, what: string) => (
    <Button size="small" onClick={() => onEdit(place)} aria-label={`Change ${what}`}>
      Change
    </Button>
  );
  const { devices, users, deviceGroups, userGroups, highValueDevices, highValueUsers } = exclusions.data;
  const named = [...devices, ...users, ...deviceGroups, ...userGroups].map((one) => one.name);
  const excluded = [
    ...(highValueDevices ? ['all high-value devices'] : []),
    ...(highValueUsers ? ['all high-value users'] : []),
    ...named.slice(0, 10),
    ...(named.length > 10 ? [`${named.length - 10} more`] : []),
  ];
  const of = (role: string) => contacts.data.value.filter((one) => one.role === role).map((one) => `${one.name} (${one.email})`);
  return (
    <>
      <Section title="Permissions" actions={change('permissions', 'permissions')}>
        <Facts
          facts={[
            ['Experts may', LEVELS[grant.data.level]],
            ['Who lets an expert in', APPROVALS[grant.data.approval]],
            ['Until', grant.data.endDateTime ? <Moment at={grant.data.endDateTime} /> : 'You end it'],
            ['From', grant.data.networks?.length ? grant.data.networks.join(', ') : 'Anywhere'],
            ['Dangerous actions', authority.data.fourEyes ? 'Take two people' : 'One person is enough'],
          ]}
        />
      </Section>
      <Section title="Exclusions" actions={change('exclusions', 'exclusions')}>
        {excluded.length > 0 ? <span>{excluded.join(', ')}</span> : <span className={styles.muted}>Nothing is excluded.</span>}
      </Section>
      <Section title="Contacts" actions={change('contacts', 'contacts')}>
        <Facts
          facts={[
            ['Incident notification', of('incidentNotification').join(', ') || 'Nobody'],
            ['Service review', of('serviceReview').join(', ') || 'Nobody'],
          ]}
        />
      </Section>
      <Section title="Chat channels" actions={change('channels', 'chat channels')}>
        {webhooks.data.value.length + chats.data.value.length > 0 ? (
          <Facts
            facts={[
              ['Team chat', chats.data.value.map((one) => one.name).join(', ')],
              ['Webhooks', webhooks.data.value.map((one) => one.name).join(', ')],
            ]}
          />
        ) : (
          <span className={styles.muted}>Mail only.</span>
        )}
      </Section>
    </>
  );
}
