import { Switch } from '@fluentui/react-components';
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { api, read } from '../api/client';
import type { NotificationSettings } from '../api/hand';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { SETTINGS } from './data';

/** NOT-4: whether the mail about a published response contains all of it. */
export function WholeResponse({ settings }: { settings: NotificationSettings }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const save = useMutation({
    mutationFn: (wholeResponse: boolean) => read(api.PUT('/api/v1/notifications/settings', { body: { wholeResponse } })),
    onSuccess: (now) => {
      queries.setQueryData(SETTINGS, now);
      toasts.done(now.wholeResponse ? 'Mails contain the whole response.' : 'Mails name the tasks and lead to the portal.');
    },
    onError: toasts.fail,
  });
  return (
    <Section title="Contents of mails">
      <span>
        The mail about a published response names what waits for you and leads to the portal. It can contain the investigation summary and every task as
        well, for people who read it where they cannot sign in. Who can read those mails then reads all of it.
      </span>
      <Switch
        label="Send the whole response in the mail"
        checked={save.isPending ? save.variables : settings.wholeResponse}
        disabled={!settings.may.change.allowed || save.isPending}
        onChange={(_, data) => save.mutate(data.checked)}
      />
    </Section>
  );
}
