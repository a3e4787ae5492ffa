/** The text of the live stream. */

/** The parts of one event that we use; lines that belong to nothing are left out. */
export function parse(block: string): { id: string | null; data: string } {
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('id:')) id = line.slice(3).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  return { id, data: data.join('\n') };
}
