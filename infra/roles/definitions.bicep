// Custom roles of one subscription.
targetScope = 'subscription'

@description('The roles: name (a GUID) and properties of each.')
param roles object[]

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for role in roles: {
    name: role.name
    properties: role.properties
  }
]
