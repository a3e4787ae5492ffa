import { createDarkTheme, createLightTheme, type BrandVariants, type Theme } from '@fluentui/react-components';

const brand: BrandVariants = {
  10: '#000c12',
  20: '#001b24',
  30: '#002833',
  40: '#003643',
  50: '#004454',
  60: '#005365',
  70: '#005f72',
  80: '#006c7f',
  90: '#1b7b8f',
  100: '#348da1',
  110: '#49a0b4',
  120: '#64b2c4',
  130: '#86c3d2',
  140: '#a6d3df',
  150: '#c5e4ec',
  160: '#dff3f8',
};

export const light: Theme = createLightTheme(brand);
export const dark: Theme = {
  ...createDarkTheme(brand),
  // Text in the brand's colour must be read on a dark ground: at least 4.5 to 1.
  colorBrandForeground1: brand[120],
  colorBrandForeground2: brand[130],
  colorBrandForegroundLink: brand[120],
  colorBrandForegroundLinkHover: brand[130],
  colorBrandForegroundLinkPressed: brand[110],
  colorNeutralForeground2BrandHover: brand[120],
  colorNeutralForeground2BrandSelected: brand[120],
  colorCompoundBrandForeground1: brand[120],
  colorCompoundBrandForeground1Hover: brand[130],
};

export type Choice = 'system' | 'light' | 'dark';
