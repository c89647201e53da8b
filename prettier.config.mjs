// Prettier alone decides the format; ESLint has no rule about layout.
export default { semi: false }
