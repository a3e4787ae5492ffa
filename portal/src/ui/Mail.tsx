import { makeStyles, tokens } from '@fluentui/react-components';
import { createElement, useMemo, type ReactNode } from 'react';

import { Go } from './Go';
import { mailTree, within, type MailNode } from './mail';

const useStyles = makeStyles({
  // Mails are made for white paper, whatever the portal's theme, and stay inside of their sheet.
  sheet: {
    overflow: 'auto',
    contain: 'content',
    maxWidth: '100%',
    overflowWrap: 'anywhere',
    color: '#242424',
    backgroundColor: '#ffffff',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  text: {
    margin: 0,
    padding: '12px 14px',
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
  },
});

/** A mail as a mail program shows it. Only links into this portal lead anywhere, and only where asked. */
export function MailSheet({ html, label, lang, links }: { html: string; label: string; lang?: string; links?: boolean }) {
  const styles = useStyles();
  const tree = useMemo(() => mailTree(html), [html]);
  const drawn = (node: MailNode, at: number): ReactNode => {
    if (typeof node === 'string') return node;
    const { tag, style, attributes, href, children } = node;
    const inside = children.length > 0 ? children.map(drawn) : undefined;
    if (tag !== 'a') return createElement(tag, { key: at, style, ...attributes }, inside);
    const to = links && href ? within(href, window.location.origin) : null;
    return to ? (
      <Go key={at} to={to} style={style}>
        {inside}
      </Go>
    ) : (
      <span key={at} style={style} title={href ?? undefined}>
        {inside}
      </span>
    );
  };
  return (
    // The frame takes the focus, so that the keyboard can scroll a wide mail.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.sheet} role="group" aria-label={label} lang={lang} tabIndex={0}>
      {tree.map(drawn)}
    </div>
  );
}

/** What a mail says to programs that show no HTML. */
export function MailText({ text, lang }: { text: string; lang?: string }) {
  const styles = useStyles();
  return (
    <pre className={styles.text} lang={lang}>
      {text}
    </pre>
  );
}
