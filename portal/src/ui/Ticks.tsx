import { Checkbox, Field, makeStyles } from '@fluentui/react-components';
import { useId } from 'react';

const useStyles = makeStyles({ some: { display: 'flex', flexWrap: 'wrap', columnGap: '8px' } });

/** Several words that are ticked or not, under one label. A field hands one id to every box inside it, so each has its own. */
export function Ticks<Word extends string | number>({
  label,
  hint,
  words,
  value,
  onValue,
}: {
  label: string;
  hint?: string;
  words: readonly { value: Word; label: string }[];
  value: readonly Word[];
  onValue: (value: Word[]) => void;
}) {
  const styles = useStyles();
  const id = useId();
  return (
    <Field label={label} hint={hint}>
      <div className={styles.some} role="group" aria-label={label}>
        {words.map((word) => (
          <Checkbox
            key={word.value}
            id={`${id}-${word.value}`}
            label={word.label}
            checked={value.includes(word.value)}
            onChange={(_, data) => onValue(data.checked ? [...value, word.value] : value.filter((one) => one !== word.value))}
          />
        ))}
      </div>
    </Field>
  );
}
