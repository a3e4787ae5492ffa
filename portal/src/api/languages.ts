/** Languages that people are written to, each in its own words, as who reads it looks for it. */
export const LANGUAGES: Record<string, string> = {
  en: 'English',
  es: 'Español',
  ja: '日本語',
  'pt-BR': 'Português (Brasil)',
  'pt-PT': 'Português (Portugal)',
};

export const languageName = (language: string): string => LANGUAGES[language] ?? language;
