// All that hosts can import, as one module.
export * from '../../src/graph/index.ts'
export * from '../../src/index.ts'
export * from '../../src/migrate/index.ts'
export * from '../../src/redis/index.ts'
