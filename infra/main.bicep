// The whole deployment: `azd up`, or `az deployment sub create` (docs/deploying.md).
targetScope = 'subscription'

@description('Name of the environment. The names of the resources are made from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of all resources.')
@metadata({ azd: { type: 'location' } })
param location string

var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
