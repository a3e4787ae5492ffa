import { AddRegular } from '@fluentui/react-icons';
import { useState, type ReactNode } from 'react';

import type { NotificationSettings } from '../api/hand';
import { GuardedButton } from '../ui/Guarded';
import { Section } from '../ui/Section';
import { Failure, Notice, Waiting } from '../ui/states';
import { ChatChannels } from './ChatChannels';
import { Contacts } from './Contacts';
import { Webhooks } from './Webhooks';
import { useLive, useSettings } from './data';

type Shown = { settings: NotificationSettings; adding: boolean; onAdded: () => void };

/** A part of the notifications page with the button that adds to it, for a page around it. */
function Part({ add, children }: { add: string; children: (shown: Shown) => ReactNode }) {
  const settings = useSettings();
  useLive();
  const [adding, setAdding] = useState(false);
  if (settings.isPending) return <Waiting rows={6} />;
  if (settings.isError) return <Failure error={settings.error} retry={() => void settings.refetch()} />;
  return (
    <>
      {!settings.data.mail.isSetUp && (
        <Notice intent="warning" title="No mail leaves here yet.">
          Your provider has set up no mail server. Mails wait until there is one; webhooks are not affected.
        </Notice>
      )}
      <div>
        <GuardedButton icon={<AddRegular />} may={settings.data.may.change} onClick={() => setAdding(true)}>
          {add}
        </GuardedButton>
      </div>
      {children({ settings: settings.data, adding, onAdded: () => setAdding(false) })}
    </>
  );
}

/** NOT-1: who is told. */
export function ContactsPart() {
  return <Part add="Add a contact">{(shown) => <Contacts {...shown} />}</Part>;
}

/** COM-5, NOT-11: by which channels besides mail. */
export function ChannelsPart() {
  return (
    <>
      <Section title="Team chat">
        <Part add="Connect a channel">{(shown) => <ChatChannels {...shown} />}</Part>
      </Section>
      <Section title="Webhooks">
        <Part add="Add a webhook">{(shown) => <Webhooks {...shown} />}</Part>
      </Section>
    </>
  );
}
