import { Link, makeStyles, tokens } from '@fluentui/react-components';
import { Fragment, useMemo, type ReactNode } from 'react';

import { blocks, type Inline } from './markdown';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '8px', overflowWrap: 'anywhere', '& > *': { margin: 0 } },
  list: { paddingInlineStart: '22px' },
  quote: { paddingInlineStart: '12px', borderLeft: `3px solid ${tokens.colorNeutralStroke1}` },
  code: { fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  block: { padding: '8px 10px', whiteSpace: 'pre-wrap', backgroundColor: tokens.colorNeutralBackground4, borderRadius: tokens.borderRadiusMedium },
  scroll: { overflowX: 'auto' },
  table: { borderCollapse: 'collapse' },
  cell: { padding: '4px 10px', textAlign: 'start', verticalAlign: 'top', minWidth: '60px', overflowWrap: 'break-word', border: `1px solid ${tokens.colorNeutralStroke2}` },
  heading: { fontWeight: tokens.fontWeightSemibold },
});

/** What somebody wrote, with lists, links and emphasis; nothing of it is HTML. */
export function Rich({ text }: { text: string }) {
  const styles = useStyles();
  const tree = useMemo(() => blocks(text), [text]);
  const drawn = (all: Inline[]): ReactNode =>
    all.map((one, at) => {
      switch (one.kind) {
        case 'text':
          return <Fragment key={at}>{one.text}</Fragment>;
        case 'code':
          return (
            <code key={at} className={styles.code}>
              {one.text}
            </code>
          );
        case 'strong':
          return <strong key={at}>{drawn(one.inside)}</strong>;
        case 'emphasis':
          return <em key={at}>{drawn(one.inside)}</em>;
        case 'link':
          return (
            // The words may say anything; the address is what counts.
            <Link key={at} inline href={one.href} title={one.href} target="_blank" rel="noopener noreferrer">
              {drawn(one.inside)}
            </Link>
          );
      }
    });
  const lines = (all: Inline[][]): ReactNode =>
    all.map((line, at) => (
      <Fragment key={at}>
        {at > 0 && <br />}
        {drawn(line)}
      </Fragment>
    ));
  return (
    <div className={styles.all}>
      {tree.map((block, at) => {
        switch (block.kind) {
          case 'heading':
            return (
              <p key={at} className={styles.heading}>
                {drawn(block.line)}
              </p>
            );
          case 'code':
            return (
              <pre key={at} className={`${styles.code} ${styles.block}`}>
                {block.text}
              </pre>
            );
          case 'list': {
            const items = block.items.map((item, place) => <li key={place}>{drawn(item)}</li>);
            return block.ordered ? (
              <ol key={at} className={styles.list}>
                {items}
              </ol>
            ) : (
              <ul key={at} className={styles.list}>
                {items}
              </ul>
            );
          }
          case 'table':
            return (
              // What scrolls must be reached by the keyboard.
              // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
              <div key={at} className={styles.scroll} tabIndex={0} role="region" aria-label="Table">
                <table className={styles.table}>
                  <thead>
                    <tr>
                      {block.head.map((cell, place) => (
                        <th key={place} scope="col" className={`${styles.cell} ${styles.heading}`}>
                          {drawn(cell)}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {block.rows.map((row, line) => (
                      <tr key={line}>
                        {row.map((cell, place) => (
                          <td key={place} className={styles.cell}>
                            {drawn(cell)}
                          </td>
                        ))}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            );
          case 'quote':
            return (
              <blockquote key={at} className={styles.quote}>
                {lines(block.lines)}
              </blockquote>
            );
          case 'paragraph':
            return <p key={at}>{lines(block.lines)}</p>;
        }
      })}
    </div>
  );
}

/** What a field says of it. */
export const RICH_HINT = 'Markdown: **bold**, *italic*, `code`, lists, > quotes, | tables |, links.';
