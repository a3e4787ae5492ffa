import { Checkbox, Field, makeStyles } from '@fluentui/react-components';

import { Group } from './Group';

const useStyles = makeStyles({ some: { display: 'flex', flexWrap: 'wrap', columnGap: '8px' } });

/** Several words that are ticked or not, under one label. */
export function Ticks<Word extends string | number>({
  label,
  hint,
  words,
  value,
  disabled,
  onValue,
}: {
  label: string;
  hint?: string;
  words: readonly { value: Word; label: string }[];
  value: readonly Word[];
  disabled?: boolean;
  onValue: (value: Word[]) => void;
}) {
  const styles = useStyles();
  return (
    <Field label={label} hint={hint}>
      <Group label={label} className={styles.some}>
        {words.map((word) => (
          <Checkbox
            key={word.value}
            label={word.label}
            disabled={disabled}
            checked={value.includes(word.value)}
            onChange={(_, data) => onValue(data.checked ? [...value, word.value] : value.filter((one) => one !== word.value))}
          />
        ))}
      </Group>
    </Field>
  );
}
