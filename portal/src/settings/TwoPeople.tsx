import { Switch, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Authority } from '../api/hand';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Failure, Waiting } from '../ui/states';

const useStyles = makeStyles({
  hint: { margin: 0, color: tokens.colorNeutralForeground2 },
  part: { display: 'flex', flexDirection: 'column', gap: '6px' },
  name: { margin: 0, fontWeight: tokens.fontWeightSemibold },
  list: { margin: 0, paddingInlineStart: '18px', columns: '220px auto', columnGap: '24px' },
});

const KEY = ['authority'];

/** Whether what is dangerous takes a second person: saved at once, by itself. */
export function TwoPeople() {
  const authority = useQuery({ queryKey: KEY, queryFn: () => read(api.GET('/api/v1/authority')) });
  return (
    <Section title="Two people for dangerous actions">
      {authority.data ? (
        <Choice authority={authority.data} />
      ) : authority.isError ? (
        <Failure error={authority.error} retry={() => void authority.refetch()} />
      ) : (
        <Waiting rows={3} />
      )}
    </Section>
  );
}

function Choice({ authority }: { authority: Authority }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const put = async (fourEyes: boolean, undoable: boolean) => {
    setBusy(true);
    setError(null);
    try {
      const now = await read(api.PUT('/api/v1/authority', { body: { fourEyes } }));
      queries.setQueryData(KEY, now);
      toasts.done(
        now.fourEyes ? 'Dangerous actions take two people now.' : 'One person is enough for a dangerous action now.',
        undoable ? () => void put(!fourEyes, false) : undefined,
      );
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  const { change } = authority.may;
  return (
    <>
      <div className={styles.part}>
        <Switch
          label="A second person approves each dangerous action"
          checked={authority.fourEyes}
          disabled={busy || !change.allowed}
          onChange={(_, data) => void put(data.checked, true)}
        />
        <p className={styles.hint}>
          Whoever asks for one cannot approve it. The other person sees exactly what would be done and confirms with a second
          factor; without an answer nothing is done. This holds for your own people and for the experts.
        </p>
        {!change.allowed && <p className={styles.hint}>{sentence(change.because ?? 'You cannot change this.')}</p>}
      </div>
      <Failure error={error} />
      <div className={styles.part}>
        <p className={styles.name}>Actions concerned ({authority.dangerous.length})</p>
        <ul className={styles.list}>
          {authority.dangerous.map((one) => (
            <li key={one.actionType}>{one.title}</li>
          ))}
        </ul>
      </div>
    </>
  );
}
