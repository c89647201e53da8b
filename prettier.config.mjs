// Prettier alone decides the format; ESLint has no rule about layout. 120 columns, as the comments and tables are written.
export default { semi: false, printWidth: 120 }
