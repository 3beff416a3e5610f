// The whole deployment: `azd up`, or `az deployment sub create` (docs/deploying.md).
targetScope = 'subscription'

@description('Name of the environment. The names of the resources are made from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of all resources.')
@metadata({ azd: { type: 'location' } })
param location string

// Where the app's roles are assigned. The setting RESTORE_SCOPES has the same lists.
@description('Recovery Services vaults to restore from: a JSON array of resource ids.')
param vaultIds string[]

@description('Resource groups in which restored disks and VMs are created: a JSON array of resource ids.')
param targetResourceGroupIds string[]

@description('Staging storage accounts, or resource groups that have them. Default: the target resource groups.')
param stagingScopes string[] = targetResourceGroupIds

@description('Virtual networks of VMs that are created (AlternateLocation).')
param virtualNetworkIds string[] = []

@description('Subscriptions, resource groups or VMs that the app may read, in order to find the backup of a VM.')
param virtualMachineScopes string[] = []

@description('Resource groups or VMs whose disks may be replaced (OriginalLocation) or swapped (thenSwapDisks), or that get restored disks (thenAttachDisks).')
param inPlaceScopes string[] = []

@description('Lets the app read the template that Azure Backup leaves in a staging account for a new VM (thenCreateVirtualMachine.template), and with it all blobs of the staging scopes.')
param readsTemplates bool = false

@description('Assigns all roles of the app. Set it to false if the deployer may not do that at every scope: the output roleCommands then has commands for somebody who may.')
param assignRoles bool = true

// How the app runs. The Consumption plan is not among the values: on Linux it stops at Python 3.12, and it needs a share
// of Azure Files, so account keys.
@description('FlexConsumption scales to zero. Premium always runs one instance, and its code is uploaded by other means (docs/deploying.md).')
@allowed([ 'FlexConsumption', 'Premium' ])
param hostingPlan string = 'FlexConsumption'

@description('Puts the app into a virtual network, and its storage behind private endpoints.')
param vnetEnabled bool = false

@description('Where the durable state is. DurableTaskScheduler has not been tried yet.')
@allowed([ 'AzureStorage', 'DurableTaskScheduler' ])
param durableEngine string = 'AzureStorage'

@description('Who gets an e-mail when a restore fails or waits for a person, or a request goes to the poison queue. Empty: nobody.')
param alertEmail string = ''

@description('A sample alert on the availability of VMs that calls the app. Only after the code is deployed.')
param sampleAlert bool = false

@description('Set it to false to drain the app: the functions that start restores are disabled, and restores that run go on (docs/operating.md).')
param acceptsRestores bool = true

@description('Settings of the app (README) that differ from their defaults, as strings.')
@sealed()
param appSettings {
  AUTO_RESTORE_RULES: string?
  AZURE_BACKUP_API_VERSION: string?
  OTEL_EXPORTER_OTLP_ENDPOINT: string?
  RECOVERY_PLANS: string?
  RESTORE_ADOPTION_WINDOW_SECONDS: string?
  RESTORE_DEADLINE_HOURS: string?
  RESTORE_EVENTS_QUEUE: string?
  RESTORE_HISTORY_DAYS: string?
  RESTORE_JOB_POLL_MAX_SECONDS: string?
  RESTORE_JOB_POLL_MIN_SECONDS: string?
  RESTORE_MAX_RUNNING_PER_VAULT: string?
  RESTORE_REQUESTS_QUEUE: string?
  RESTORE_RESULTS_QUEUE: string?
  RESTORE_TRUST_EASYAUTH: string?
  RESTORE_WEBHOOK_URL: string?
} = {}

@description('The URI of the Key Vault secret that webhooks are signed with. The identity needs Key Vault Secrets User there.')
param webhookSecretUri string = ''

var tags = { 'azd-env-name': environmentName }
// Azure compares names and regions without case, and takes 'West Europe', too; guid() and uniqueString() do not. In any
// spelling, an environment must keep the resources that it has.
var lowerName = toLower(environmentName)
var token = uniqueString(subscription().id, lowerName, toLower(replace(location, ' ', '')))
var identityName = 'id-restore-${token}'
var storageName = 'strestore${token}'
var appName = 'func-restore-${token}'
var componentName = 'appi-restore-${token}'
var packages = 'app-package'
var queues = {
  RESTORE_REQUESTS_QUEUE: appSettings.?RESTORE_REQUESTS_QUEUE ?? 'restore-requests'
  RESTORE_RESULTS_QUEUE: appSettings.?RESTORE_RESULTS_QUEUE ?? 'restore-results'
  RESTORE_EVENTS_QUEUE: appSettings.?RESTORE_EVENTS_QUEUE ?? 'restore-events'
}
// The host adds the suffix.
var poisonQueue = '${queues.RESTORE_REQUESTS_QUEUE}-poison'
var durableTask = loadJsonContent('../host.json').extensions.durableTask
var usesScheduler = durableEngine == 'DurableTaskScheduler'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${lowerName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: { name: identityName, location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: storageName
    location: location
    tags: tags
    containerName: packages
    queueNames: concat(map(items(queues), queue => queue.value), [ poisonQueue ])
    publicNetworkAccess: !vnetEnabled
    // See the module roles, below.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: 'log-restore-${token}'
    componentName: componentName
    location: location
    tags: tags
    // See the module roles, below.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  scope: group
  params: {
    name: 'vnet-restore-${token}'
    location: location
    tags: tags
    appDelegation: hostingPlan == 'FlexConsumption' ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
    storageName: storageName
    storageId: storage.outputs.id
  }
}

module scheduler 'modules/scheduler.bicep' = if (usesScheduler) {
  scope: group
  params: {
    name: 'dts-restore-${token}'
    location: location
    tags: tags
    taskHubName: durableTask.hubName
    // See the module roles, below.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    name: appName
    planName: 'plan-restore-${token}'
    location: location
    tags: tags
    hostingPlan: hostingPlan
    identityId: identity.outputs.id
    containerUrl: '${storage.outputs.blobEndpoint}${packages}'
    subnetId: network.?outputs.appSubnetId ?? ''
    appSettings: union(
      appSettings,
      queues,
      {
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
        APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
        AZURE_CLIENT_ID: identity.outputs.clientId
        AZURE_RESOURCE_MANAGER_ENDPOINT: environment().resourceManager
        AzureWebJobsStorage__blobServiceUri: storage.outputs.blobEndpoint
        AzureWebJobsStorage__clientId: identity.outputs.clientId
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__queueServiceUri: storage.outputs.queueEndpoint
        AzureWebJobsStorage__tableServiceUri: storage.outputs.tableEndpoint
        // The most that the Python worker accepts; docs/engine.md says why.
        PYTHON_THREADPOOL_THREAD_COUNT: '32'
        RESTORE_SCOPES: string(union(
          {
            vaultIds: vaultIds
            targetResourceGroupIds: targetResourceGroupIds
            stagingScopes: stagingScopes
            virtualNetworkIds: virtualNetworkIds
            virtualMachineScopes: virtualMachineScopes
            inPlaceScopes: inPlaceScopes
          },
          readsTemplates ? { readsTemplates: true } : {}
        ))
      },
      acceptsRestores
        ? {}
        : {
            'AzureWebJobs.on_restore_request.Disabled': 'true'
            'AzureWebJobs.post_alert.Disabled': 'true'
            'AzureWebJobs.post_recovery.Disabled': 'true'
            'AzureWebJobs.post_restore.Disabled': 'true'
            'AzureWebJobs.undo_restore.Disabled': 'true'
          },
      empty(webhookSecretUri) ? {} : { RESTORE_WEBHOOK_SECRET: '@Microsoft.KeyVault(SecretUri=${webhookSecretUri})' },
      usesScheduler
        ? {
            AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
            AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
            // It contains no key: the app signs in with its identity.
            DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${scheduler.?outputs.endpoint ?? ''};Authentication=ManagedIdentity;ClientID=${identity.outputs.clientId}'
          }
        : {}
    )
  }
}

module roles 'roles/roles.bicep' = {
  params: {
    environmentName: environmentName
    // The names of assignments are made from it: an identity that is deleted and made again needs new assignments, since
    // Azure does not let one change its principal (RoleAssignmentUpdateNotPermitted). What-If may show less for this.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
    assignRoles: assignRoles
    vaultIds: vaultIds
    targetResourceGroupIds: targetResourceGroupIds
    stagingScopes: stagingScopes
    virtualNetworkIds: virtualNetworkIds
    virtualMachineScopes: virtualMachineScopes
    inPlaceScopes: inPlaceScopes
    readsTemplates: readsTemplates
    ownAssignments: concat(
      storage.outputs.roleAssignments,
      monitoring.outputs.roleAssignments,
      scheduler.?outputs.roleAssignments ?? []
    )
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    actionGroupName: 'ag-restore-${token}'
    location: location
    tags: tags
    email: alertEmail
    componentId: monitoring.outputs.componentId
    poisonQueueName: poisonQueue
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    componentName: componentName
    location: location
    tags: tags
  }
  dependsOn: [ monitoring ]
}

module sample 'modules/sample.bicep' = if (sampleAlert) {
  scope: group
  params: {
    appName: appName
    actionGroupName: 'ag-vm-down-${token}'
    alertName: 'vm-down-${lowerName}'
    location: location
    tags: tags
  }
  dependsOn: [ app ]
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = appName
output FUNCTION_APP_URL string = 'https://${app.outputs.hostName}'
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output STORAGE_ACCOUNT_NAME string = storageName
// The roles that the deployment did not assign, as commands of az; azure.yaml prints them.
output roleCommands string[] = roles.outputs.roleCommands
