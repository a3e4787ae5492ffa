import { createContext } from 'react';

import type { useThemeChoice } from './useTheme';

export const ThemeContext = createContext<ReturnType<typeof useThemeChoice> | null>(null);
