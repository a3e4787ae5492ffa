/** Words of the API as people read them. Pure. */

/** What a word is called; an unknown one is taken apart, because the server may know more than we. */
export function labelOf(words: { value: string; label: string }[], value: string): string {
  return words.find((word) => word.value === value)?.label ?? spelled(value);
}

/** Products as the contract's enumerations name them, written as their makers do. */
const SOURCES: Record<string, string> = {
  microsoftDefenderForEndpoint: 'Microsoft Defender for Endpoint',
  microsoftDefenderForIdentity: 'Microsoft Defender for Identity',
  microsoftDefenderForCloudApps: 'Microsoft Defender for Cloud Apps',
  microsoftDefenderForOffice365: 'Microsoft Defender for Office 365',
  microsoft365Defender: 'Microsoft 365 Defender',
  azureAdIdentityProtection: 'Microsoft Entra ID Protection',
  microsoftAppGovernance: 'App governance',
  dataLossPrevention: 'Data loss prevention',
  microsoftDefenderForCloud: 'Microsoft Defender for Cloud',
  microsoftSentinel: 'Microsoft Sentinel',
  microsoftThreatExperts: 'Microsoft Defender Experts',
};

export const sourceName = (word: string): string => SOURCES[word] ?? spelled(word);

/** A hash in a heading: its beginning tells it apart, and the whole of it stands below. */
export const headed = (text: string): string => text.replace(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/gi, '$1…');

/** "multiStagedAttack" as "Multi staged attack", "device name" as "Device name". */
export function spelled(word: string): string {
  const apart = word.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/_/g, ' ');
  const lower = apart.replace(/\b[A-Z][a-z]+/g, (part) => part.toLowerCase());
  const short = lower.replace(/\b(ip|url|dns|os|mac|sha1|sha256|md5)\b/gi, (part) => part.toUpperCase());
  return short.charAt(0).toUpperCase() + short.slice(1);
}
