/** Describes our own endpoints as OpenAPI, from the routes themselves: what is added to them is in the description. */
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { HEADER_VERSION } from './insight-headers.ts'

export interface ApiDescription {
  /**
   * Notes the routes that are added to `app` from now on.
   * @param origin where they are reached, once they are
   * @returns the methods that there are at a path of `app`
   */
  watch(app: FastifyInstance, origin: () => string): (url: string) => string[]
  document(): object
}

type JsonSchema = Readonly<Record<string, unknown>>

export interface RouteSchema extends FastifySchema {
  summary: string
  /** What the summary leaves open. */
  description?: string
  params?: JsonSchema
  querystring?: JsonSchema
  body?: JsonSchema
  response: Readonly<Record<string, JsonSchema>>
}

interface Operation {
  summary?: string
  description?: string
  parameters?: object[]
  requestBody?: object
  responses: object
  security: object[]
  servers: object[]
}

const JSON_TYPE = 'application/json'
const text = { type: 'string' }

/** Every error of ours; docs/errors.md lists the codes. */
const ERROR = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: { message: text, type: text, param: { type: ['string', 'null'] }, code: text },
    },
  },
}

/**
 * A schema that describes and no more: our routes read their input themselves, since a refusal names the field at fault,
 * and write what they mean.
 */
export function described(schema: RouteSchema) {
  return { schema, validatorCompiler: () => () => true, serializerCompiler: () => JSON.stringify }
}

export function createApiDescription(): ApiDescription {
  const routes: { route: RouteOptions; origin: () => string }[] = []

  function operationOf({ schema, config }: RouteOptions, origin: string): Operation {
    const { summary, description, params, querystring, body, response } = (schema ?? {}) as Partial<RouteSchema>
    const parameters = [...parametersOf(params, 'path'), ...parametersOf(querystring, 'query')]
    const answers = Object.entries(response ?? { 200: {} }).map(([status, answer]) => {
      const { description = 'as asked', type = JSON_TYPE, ...told } = answer as Record<string, string>
      const isText = type.includes('/')
      const content = { [isText ? type : JSON_TYPE]: { schema: isText ? told : answer } }
      return [status, { description, content }]
    })
    return {
      ...(summary !== undefined && { summary }),
      ...(description !== undefined && { description }),
      ...(parameters.length > 0 && { parameters }),
      ...(body && { requestBody: { required: true, content: { [JSON_TYPE]: { schema: body } } } }),
      responses: {
        ...Object.fromEntries(answers),
        default: { description: 'an error', content: { [JSON_TYPE]: { schema: ERROR } } },
      },
      security: config?.for === 'anyone' ? [] : [{}, { token: [] }],
      servers: [{ url: origin }],
    }
  }

  return {
    watch(app, origin) {
      const own: RouteOptions[] = []
      app.addHook('onRoute', route => {
        // Wildcards are what is not there.
        if (route.url.includes('*')) return
        own.push(route)
        routes.push({ route, origin })
      })
      return url => {
        const [path = ''] = url.split('?')
        const there = own.filter(route => new RegExp(`^${route.url.replace(/:\w+/g, '[^/]+')}$`).test(path))
        return [...new Set(there.flatMap(({ method }) => method))].toSorted()
      }
    },
    document() {
      const paths: Record<string, Record<string, Operation>> = {}
      for (const { route, origin } of routes) {
        const path = route.url.replace(/:(\w+)/g, '{$1}')
        for (const method of [route.method].flat()) {
          // Fastify adds a HEAD to every GET; and pages are for people.
          if (method === 'HEAD' || method === 'OPTIONS' || route.config?.for === 'visitors') continue
          paths[path] ??= {}
          paths[path][method.toLowerCase()] ??= operationOf(route, origin())
        }
      }
      return {
        openapi: '3.1.0',
        info: {
          title: 'qis-sidecar',
          version: HEADER_VERSION,
          description: 'Endpoints of the sidecar itself; all others on the data listener are the LLM server’s.',
        },
        paths,
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      }
    },
  }
}

function parametersOf(schema: JsonSchema | undefined, where: 'path' | 'query'): object[] {
  const properties = (schema?.properties ?? {}) as Record<string, JsonSchema>
  const needed = (schema?.required ?? []) as readonly string[]
  return Object.entries(properties).map(([name, { description, ...given }]) => ({
    name,
    in: where,
    required: where === 'path' || needed.includes(name),
    ...(description !== undefined && { description }),
    schema: given,
  }))
}
