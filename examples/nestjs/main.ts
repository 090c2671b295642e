import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module.ts'
import { port } from './settings.ts'

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
await app.listen(port)
