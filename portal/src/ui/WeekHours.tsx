import { Checkbox, Field, Input, makeStyles } from '@fluentui/react-components';
import { useId } from 'react';

import type { Week } from '../api/hand';

const useStyles = makeStyles({
  zone: { maxWidth: '360px' },
  week: { display: 'grid', gap: '8px', margin: 0, padding: 0, listStyleType: 'none' },
  day: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    gap: '8px',
    '& .fui-Checkbox': { minWidth: '140px' },
    '& .fui-Input': { width: '96px' },
  },
});

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const OFFICE = { from: '08:00', until: '17:00' };
const ZONES = Intl.supportedValuesOf('timeZone');

/** A week as one begins with it: office hours where the reader is. */
export const officeWeek = (): Week => ({
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  days: DAYS.map((_, at) => (at < 5 ? { ...OFFICE } : null)),
});

/** "Monday 08:00–17:00, …". */
export const spelledWeek = (week: Week): string =>
  week.days.flatMap((day, at) => (day ? [`${DAYS[at]} ${day.from}–${day.until}`] : [])).join(', ');

/** A week's hours in a time zone. */
export function WeekHours({ week, onChange }: { week: Week; onChange: (week: Week) => void }) {
  const styles = useStyles();
  const zones = useId();
  return (
    <>
      <Field label="Time zone" hint="A name such as Europe/Oslo; its summer time is kept." className={styles.zone}>
        <Input list={zones} value={week.timeZone} onChange={(_, data) => onChange({ ...week, timeZone: data.value })} />
      </Field>
      <datalist id={zones}>
        {ZONES.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
      <ul className={styles.week}>
        {DAYS.map((day, at) => {
          const it = week.days[at] ?? null;
          const set = (value: { from: string; until: string } | null) =>
            onChange({ ...week, days: DAYS.map((_, other) => (other === at ? value : (week.days[other] ?? null))) });
          return (
            <li key={day} className={styles.day}>
              <Checkbox label={day} checked={it !== null} onChange={(_, data) => set(data.checked ? { ...OFFICE } : null)} />
              {it && (
                <>
                  <Input size="small" aria-label={`${day} from`} value={it.from} onChange={(_, data) => set({ ...it, from: data.value })} />
                  to
                  <Input size="small" aria-label={`${day} until`} value={it.until} onChange={(_, data) => set({ ...it, until: data.value })} />
                </>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
