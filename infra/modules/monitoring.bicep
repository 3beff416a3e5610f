// Log Analytics and Application Insights. Both refuse keys, so the connection string is an address and no secret.
param workspaceName string
param componentName string
param location string
param tags object
param principalId string
@description('false: an administrator assigns the role, with the command that is made from the output.')
param assignRoles bool

var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 90
    features: { disableLocalAuth: true }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    WorkspaceResourceId: workspace.id
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(component.id, principalId, monitoringMetricsPublisher)
  scope: component
  properties: {
    description: 'Monitoring Metrics Publisher'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

output componentId string = component.id
output connectionString string = component.properties.ConnectionString
output roleAssignments { name: string, scope: string, roleId: string }[] = [
  {
    name: guid(component.id, principalId, monitoringMetricsPublisher)
    scope: component.id
    roleId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
]
