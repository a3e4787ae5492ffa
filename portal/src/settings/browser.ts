/** What a browser says of itself, as a person would say it. */
const BROWSERS: [RegExp, string][] = [
  [/\bEdg(?:A|iOS)?\/(\d+)/, 'Edge'],
  [/\bOPR\/(\d+)/, 'Opera'],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/\b(?:Headless)?(?:Chrome|CriOS)\/(\d+)/, 'Chrome'],
  [/\bVersion\/(\d+).*Safari/, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Android/, 'Android'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

export function browserOf(agent: string | null): string {
  if (!agent) return 'Unknown browser';
  let name: string | null = null;
  for (const [pattern, called] of BROWSERS) {
    const found = pattern.exec(agent);
    if (found) {
      name = `${called} ${found[1]}`;
      break;
    }
  }
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (!name) return agent.length > 60 ? `${agent.slice(0, 58)}…` : agent;
  return system ? `${name} on ${system}` : name;
}
