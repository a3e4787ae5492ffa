import { Checkbox, Field, Input, Textarea, makeStyles, tokens } from '@fluentui/react-components';

import { Fragment, type ReactNode } from 'react';

import { Choices } from './Choices';
import { fault, type Described, type Values } from './described';

const useStyles = makeStyles({ rules: { '& textarea': { fontFamily: tokens.fontFamilyMonospace } } });

/** The fields of a form that the server describes. */
export function DescribedFields({
  fields,
  values,
  onValues,
  instead,
}: {
  fields: Described[];
  values: Values;
  onValues: (values: Values) => void;
  /** Fields that are not typed but chosen in a way of their own, by their names. */
  instead?: Record<string, (field: Described, value: string, set: (value: string) => void) => ReactNode>;
}) {
  const styles = useStyles();
  return fields.map((field) => {
    const value = values[field.name];
    const text = typeof value === 'string' ? value : '';
    const set = (next: string | boolean) => onValues({ ...values, [field.name]: next });
    const other = instead?.[field.name];
    if (other) return <Fragment key={field.name}>{other(field, text, set)}</Fragment>;
    if (field.kind === 'boolean') {
      return (
        <Field key={field.name} hint={field.explains}>
          <Checkbox label={field.title} checked={value === true} onChange={(_, data) => set(data.checked === true)} />
        </Field>
      );
    }
    // What was not touched yet is not complained about.
    const wrong = text.trim() ? fault(field, values) : null;
    return (
      <Field
        key={field.name}
        label={field.title}
        required={field.required}
        hint={field.kind === 'list' ? `${field.explains} One a line.`.trim() : field.explains}
        validationState={wrong ? 'error' : 'none'}
        validationMessage={wrong}
      >
        {field.kind === 'choice' ? (
          <Choices
            placeholder="Choose"
            choices={(field.choices ?? []).map((choice) => ({ value: choice.value, label: choice.title }))}
            value={text}
            onChoose={set}
          />
        ) : field.kind === 'rules' ? (
          <Textarea
            value={text}
            resize="vertical"
            rows={6}
            maxLength={65536}
            spellCheck={false}
            className={styles.rules}
            onChange={(_, data) => set(data.value)}
          />
        ) : field.kind === 'list' ? (
          <Textarea value={text} resize="vertical" onChange={(_, data) => set(data.value)} />
        ) : (
          <Input
            value={text}
            inputMode={field.kind === 'number' ? 'numeric' : undefined}
            onChange={(_, data) => set(data.value)}
          />
        )}
      </Field>
    );
  });
}
