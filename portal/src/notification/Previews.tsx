import { Field, makeStyles } from '@fluentui/react-components';
import { useSearchParams } from 'react-router';

import type { NotificationSettings } from '../api/hand';
import { Choices } from '../ui/Choices';
import { Facts } from '../ui/Facts';
import { MailSheet, MailText } from '../ui/Mail';
import { Section } from '../ui/Section';
import { Failure, Waiting } from '../ui/states';
import { usePreview } from './data';
import { kindName, languageName } from './words';

const useStyles = makeStyles({
  bar: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  choice: { '& .fui-Dropdown': { minWidth: '150px' } },
  all: { display: 'flex', flexDirection: 'column', gap: '16px', maxWidth: '960px' },
});

/** What mails of each kind look like, with invented names. */
export function Previews({ settings }: { settings: NotificationSettings }) {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const chosen = (name: string, among: string[]) => among.find((one) => one === params.get(name)) ?? among[0] ?? '';
  const kind = chosen('kind', settings.kinds);
  const language = chosen('language', settings.languages);
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    next.set(name, value);
    setParams(next, { replace: true });
  };
  const preview = usePreview(kind, language);
  return (
    <div className={styles.all}>
      <div className={styles.bar}>
        <Field label="Message" className={styles.choice}>
          <Choices choices={settings.kinds.map((value) => ({ value, label: kindName(value) }))} value={kind} onChoose={(value) => set('kind', value)} />
        </Field>
        <Field label="Language" className={styles.choice}>
          <Choices
            choices={settings.languages.map((value) => ({ value, label: languageName(value) }))}
            value={language}
            onChoose={(value) => set('language', value)}
          />
        </Field>
      </div>
      {preview.isPending ? (
        <Waiting rows={8} label="Loading the message" />
      ) : preview.isError ? (
        <Failure error={preview.error} retry={() => void preview.refetch()} />
      ) : (
        <>
          <Facts
            facts={[
              ['From', settings.mail.from],
              [
                'Subject',
                <span key="subject" lang={language}>
                  {preview.data.subject}
                </span>,
              ],
            ]}
          />
          <Section title="As a mail" plain>
            <MailSheet html={preview.data.html} label="The mail" lang={language} />
          </Section>
          <Section title="As plain text" plain>
            <MailText text={preview.data.text} lang={language} />
          </Section>
        </>
      )}
    </div>
  );
}
