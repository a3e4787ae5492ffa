import { Field, Input, Spinner, makeStyles, tokens } from '@fluentui/react-components';
import { useEffect, useRef, useState } from 'react';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { MadeTeam } from '../api/hand';
import { useSession } from '../api/session';
import { GuardedButton } from '../ui/Guarded';
import { Failure, Notice } from '../ui/states';

const useStyles = makeStyles({
  all: {
    display: 'flex',
    flexDirection: 'column',
    gap: '10px',
    padding: '12px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
  },
});

const AGAIN_MS = 3_000;
/** How long Microsoft may take over a team. */
const PATIENCE_MS = 180_000;

const BOT: Record<NonNullable<MadeTeam['bot']>, string> = {
  installed: 'The bot is in it.',
  notUploaded: 'The bot is not among your organisation’s apps yet: upload its package in the Teams admin center, then add it to the team.',
  byHand: 'Microsoft does not let the app add the bot: add it to the team by hand.',
};

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** ONB-6: the private team and its channel, made by the app that is entered here. */
export function MakeTeam({ values, onMade }: { values: Record<string, string>; onMade: (channelId: string) => void }) {
  const styles = useStyles();
  const { person } = useSession();
  const [owner, setOwner] = useState(person?.email ?? '');
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState<MadeTeam | null>(null);
  const [error, setError] = useState<unknown>(null);
  const here = useRef(true);
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);
  const given = { tenantId: values.tenantId?.trim() ?? '', appId: values.appId?.trim() ?? '', clientSecret: values.clientSecret?.trim() ?? '' };
  const missing = Object.values(given).some((text) => text === '') || !owner.trim();
  const make = async () => {
    setBusy(true);
    setError(null);
    setMade(null);
    const until = Date.now() + PATIENCE_MS;
    let teamId: string | undefined;
    try {
      while (here.current) {
        const found = await again(() => read(api.POST('/api/v1/chat-teams', { body: { ...given, owner: owner.trim(), ...(teamId && { teamId }) } })), until);
        teamId = found.teamId;
        if (!here.current) return;
        if (found.channelId) {
          setMade(found);
          onMade(found.channelId);
          return;
        }
        if (Date.now() > until) throw new Error('Microsoft is still making the team. Try again in some minutes: the team that was begun is taken then.');
        await pause(AGAIN_MS);
      }
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className={styles.all} role="group" aria-label="Make the team">
      <span>
        No channel yet? The app can make the private team “Defender Experts team” with the channel “Managed response”. Its registration needs
        the application permissions Team.Create, Team.ReadBasic.All, Channel.Create and Channel.ReadBasic.All for that, and
        AppCatalog.Read.All and TeamsAppInstallation.ReadWriteSelfForTeam.All to add the bot.
      </span>
      <Field label="Owner of the team" hint="The sign-in name of somebody of your organisation">
        <Input value={owner} maxLength={200} autoComplete="off" onChange={(_, data) => setOwner(data.value)} />
      </Field>
      <div>
        <GuardedButton
          busy={busy}
          may={missing ? { allowed: false, because: 'Enter the organisation’s id, the app id, the secret and an owner first.' } : { allowed: true }}
          onClick={() => void make()}
        >
          Make the team
        </GuardedButton>
      </div>
      <div role="status">
        {busy && <Spinner size="tiny" label="Microsoft is making the team. This takes up to a minute." labelPosition="after" style={{ justifyContent: 'start' }} />}
        {made?.bot && <Notice title="The team and its channel are there.">{BOT[made.bot]}</Notice>}
      </div>
      <Failure error={error} title="The team was not made" />
    </div>
  );
}

/** Asks once more where the server was asked to come again. */
async function again(ask: () => Promise<MadeTeam>, until: number): Promise<MadeTeam> {
  for (;;) {
    try {
      return await ask();
    } catch (refused) {
      if (!(refused instanceof Refusal && refused.status === 503 && Date.now() < until)) throw refused;
      await pause(AGAIN_MS);
    }
  }
}
