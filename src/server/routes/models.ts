import { checkModel, type Service } from '../service.ts';

/** The models that there are: one. */
export function models(service: Service) {
  return { object: 'list', data: [modelCard(service, service.names[0]!)] };
}

export function modelCard(service: Service, name: string) {
  checkModel(service, name);
  const { names, started, model } = service;
  return {
    id: names[0],
    object: 'model',
    created: started,
    owned_by: 'postnas',
    max_model_len: model.contextLength,
  };
}
