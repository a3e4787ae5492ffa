import { Dropdown, Option, type DropdownProps } from '@fluentui/react-components';

type Choice = { value: string; label: string };

/** A drop-down of values with labels. */
export function Choices({
  choices,
  value,
  onChoose,
  ...rest
}: Omit<DropdownProps, 'value' | 'children' | 'selectedOptions' | 'onOptionSelect'> & {
  choices: Choice[];
  value: string;
  onChoose: (value: string) => void;
}) {
  const label = choices.find((choice) => choice.value === value)?.label ?? value;
  return (
    <Dropdown
      {...rest}
      value={label}
      selectedOptions={[value]}
      onOptionSelect={(_, data) => data.optionValue !== undefined && onChoose(data.optionValue)}
    >
      {choices.map((choice) => (
        <Option key={choice.value} value={choice.value}>
          {choice.label}
        </Option>
      ))}
    </Dropdown>
  );
}
