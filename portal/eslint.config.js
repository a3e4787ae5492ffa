import a11y from 'eslint-plugin-jsx-a11y';
import hooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['dist', 'node_modules', 'src/api/schema.d.ts'] },
  ...ts.configs.recommended,
  a11y.flatConfigs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    plugins: { 'react-hooks': hooks },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // What was ingested is hostile; nothing of it may become markup or script.
      'no-restricted-syntax': [
        'error',
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'Ingested text is hostile.' },
        { selector: "MemberExpression[property.name='innerHTML']", message: 'Ingested text is hostile.' },
        { selector: "MemberExpression[property.name='outerHTML']", message: 'Ingested text is hostile.' },
      ],
      'no-eval': 'error',
      'no-console': 'error',
    },
  },
);
