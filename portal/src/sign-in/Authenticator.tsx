import { Button, Checkbox, Field, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowDownloadRegular } from '@fluentui/react-icons';
import { useEffect, useState } from 'react';

import type { Enrolment } from '../api/hand';
import { CopyButton, CopyText } from '../ui/Copy';
import { Notice } from '../ui/states';
import { Frame } from './Frame';
import { CodeField, Form } from './form';

const useStyles = makeStyles({
  qr: {
    alignSelf: 'center',
    width: '200px',
    height: '200px',
    padding: '8px',
    // A camera reads dark on light only.
    backgroundColor: '#ffffff',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
  },
  codes: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fill, minmax(150px, 1fr))',
    gap: '6px',
    margin: 0,
    padding: '14px',
    listStyleType: 'none',
    fontFamily: tokens.fontFamilyMonospace,
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusLarge,
  },
  row: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
});

/** The secret of an authenticator app, and its first code as the proof that it arrived. */
export function ScanApp({
  enrolment,
  onCode,
}: {
  enrolment: Enrolment;
  onCode: (flow: string, code: string) => Promise<void>;
}) {
  const styles = useStyles();
  const [code, setCode] = useState('');
  return (
    <Frame title="Add an authenticator app" lead="Scan this with the app, then enter the code it shows.">
      <img
        className={styles.qr}
        src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(enrolment.totp.svg)}`}
        alt="QR code for your authenticator app"
      />
      <Field label="Cannot scan? Enter this key in the app">
        <CopyText text={enrolment.totp.secret} label="Copy the key" />
      </Field>
      <Form act="Finish" ready={code.trim().length >= 6} onAct={() => onCode(enrolment.flow, code.trim())}>
        <CodeField value={code} onChange={setCode} />
      </Form>
    </Frame>
  );
}

/** Codes that let in without the app, shown this once. */
export function RecoveryCodes({ codes, email, onDone }: { codes: string[]; email: string; onDone: () => void }) {
  const styles = useStyles();
  const [kept, setKept] = useState(false);
  const [file, setFile] = useState('');
  const text = codes.join('\n');
  useEffect(() => {
    const url = URL.createObjectURL(
      new Blob([`Riposte recovery codes of ${email}\nEach works once.\n\n${text}\n`], { type: 'text/plain' }),
    );
    setFile(url);
    return () => URL.revokeObjectURL(url);
  }, [text, email]);
  return (
    <Frame title="Keep your recovery codes" lead="Each lets you in once when you have lost your authenticator app.">
      <Notice intent="warning">They are shown this once and never again.</Notice>
      <ul className={styles.codes}>
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className={styles.row}>
        <CopyButton text={text} label="Copy the codes">
          Copy
        </CopyButton>
        <Button as="a" icon={<ArrowDownloadRegular />} href={file} download="riposte-recovery-codes.txt">
          Download
        </Button>
      </div>
      <Checkbox
        label="I have put them somewhere safe"
        checked={kept}
        onChange={(_, data) => setKept(Boolean(data.checked))}
      />
      <Button appearance="primary" disabledFocusable={!kept} onClick={onDone}>
        Go to Riposte
      </Button>
    </Frame>
  );
}
