// The roles of the app's identity: a custom role for each feature in use, assigned where the feature needs it.
// docs/deploying.md, "Roles", explains them. Where the deployer may not assign roles, the output has commands instead.
targetScope = 'subscription'

@description('Name of the environment. It is part of the names of the roles.')
param environmentName string

@description('Object id of the app\'s identity.')
param principalId string

@description('Whether the deployment defines and assigns the roles. If not, the output roleCommands does it.')
param assignRoles bool

@description('Recovery Services vaults from which VMs are restored.')
param vaultIds string[]

@description('Resource groups in which restored disks and VMs are created.')
param targetResourceGroupIds string[]

@description('Staging storage accounts, or resource groups that have them. If empty: the target resource groups.')
param stagingScopes string[]

@description('Virtual networks of new VMs (AlternateLocation).')
param virtualNetworkIds string[]

@description('Subscriptions, resource groups or VMs that the app may read.')
param virtualMachineScopes string[]

@description('Resource groups or VMs whose disks may be replaced (OriginalLocation) or swapped (thenSwapDisks), or that get restored disks (thenAttachDisks).')
param inPlaceScopes string[]

@description('Whether the app reads blobs of the staging scopes: the templates of new VMs.')
param readsTemplates bool

@description('Assignments of built-in roles that the app needs for its own resources, for roleCommands.')
param ownAssignments { name: string, scope: string, roleId: string }[]

type scopeType = { id: string, type: string, subscriptionId: string }

// Types of scopes, as the last part of an id has them.
var subscriptionType = 'subscriptions'
var groupType = 'resourcegroups'
var vaultType = 'microsoft.recoveryservices/vaults'
var accountType = 'microsoft.storage/storageaccounts'
var networkType = 'microsoft.network/virtualnetworks'
var machineType = 'microsoft.compute/virtualmachines'

// Ids come in any case, with a slash at the end, and twice. Azure compares them without case, guid() does not.
func segmentsOf(id string) string[] => filter(split(toLower(trim(id)), '/'), segment => segment != '')

func typeOf(segments string[]) string =>
  (length(segments) == 2 && segments[?0] == 'subscriptions')
    ? 'subscriptions'
    : (length(segments) == 4 && segments[?2] == 'resourcegroups')
        ? 'resourcegroups'
        : (length(segments) == 8 && segments[?4] == 'providers') ? '${segments[?5]}/${segments[?6]}' : 'unknown'

func scopesFrom(ids string[]) scopeType[] =>
  map(union(map(ids, id => join(segmentsOf(id), '/')), []), path => {
    id: '/${path}'
    type: typeOf(split(path, '/'))
    subscriptionId: split('${path}/', '/')[1]
  })

func checked(name string, scopes scopeType[], types string[]) scopeType[] =>
  map(
    scopes,
    scope =>
      contains(types, scope.type) ? scope : fail('${name}: ${scope.id} is not an id of the type ${join(types, ' or ')}')
  )

var vaults = checked('vaultIds', scopesFrom(vaultIds), [vaultType])
var targetGroups = checked('targetResourceGroupIds', scopesFrom(targetResourceGroupIds), [groupType])
var machines = checked('virtualMachineScopes', scopesFrom(virtualMachineScopes), [
  subscriptionType
  groupType
  machineType
])
var inPlace = checked('inPlaceScopes', scopesFrom(inPlaceScopes), [groupType, machineType])
var staging = checked('stagingScopes', scopesFrom(stagingScopes), [accountType, groupType])

// By the names that required_permissions.json uses.
var scopes = {
  subscriptions: scopesFrom(map(concat(vaults, machines), scope => '/subscriptions/${scope.subscriptionId}'))
  machineSubscriptions: scopesFrom(map(
    concat(inPlace, empty(virtualNetworkIds) ? [] : targetGroups),
    scope => '/subscriptions/${scope.subscriptionId}'
  ))
  vaultIds: vaults
  targetResourceGroupIds: targetGroups
  stagingScopes: empty(staging) ? targetGroups : staging
  virtualNetworkIds: checked('virtualNetworkIds', scopesFrom(virtualNetworkIds), [networkType])
  virtualMachineScopes: machines
  inPlaceScopes: inPlace
}

var features = filter(
  loadJsonContent('../../queries/required_permissions.json'),
  feature =>
    startsWith(feature.feature, 'CreateVirtualMachines')
      ? !empty(virtualNetworkIds)
      : (feature.feature != 'DeleteDisks' || !empty(inPlaceScopes)) && (feature.feature != 'ReadTemplates' || readsTemplates)
)

// What every role grants besides: GET /api/preflight reads what the identity may do at a scope. Microsoft lists this
// as an action like any other, and does not document that a principal may always read its own permissions.
var ownPermissions = 'Microsoft.Authorization/permissions/read'

// The same environment name may be used in several subscriptions, and two environments may restore from one.
var owner = toLower('${subscription().subscriptionId}/${environmentName}')

var grants = flatten(map(
  features,
  feature =>
    map(scopes[feature.scope], scope => {
      scope: scope
      role: {
        name: guid(scope.subscriptionId, owner, feature.feature)
        subscriptionId: scope.subscriptionId
        properties: {
          roleName: 'Azure VM Restore ${feature.feature} ${environmentName} ${substring(uniqueString(scope.subscriptionId, owner), 0, 6)}'
          description: feature.purpose
          type: 'CustomRole'
          permissions: [
            union(
              { actions: concat([ownPermissions], feature.actions), notActions: [] },
              contains(feature, 'dataActions') ? { dataActions: feature.dataActions } : {}
            )
          ]
          assignableScopes: ['/subscriptions/${scope.subscriptionId}']
        }
      }
    })
))
var roles = union(map(grants, grant => grant.role), [])
var roleSubscriptionIds = union(map(roles, role => role.subscriptionId), [])

// The principal's id is not part of these: in main.bicep it is known only while the deployment runs.
var assignments = map(grants, grant => {
  scope: grant.scope
  roleId: '/subscriptions/${grant.role.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${grant.role.name}'
})

func nameOf(assignment object, principalId string) string => guid(assignment.scope.id, principalId, assignment.roleId)

var made = assignRoles ? assignments : []

module definitions 'definitions.bicep' = [
  for subscriptionId in assignRoles ? roleSubscriptionIds : []: {
    name: 'roles-${uniqueString(subscriptionId, owner)}'
    scope: subscription(subscriptionId)
    params: { roles: filter(roles, role => role.subscriptionId == subscriptionId) }
  }
]

module inSubscriptions 'subscription-assignment.bicep' = [
  for assignment in filter(made, assignment => assignment.scope.type == subscriptionType): {
    name: 'role-${guid(assignment.scope.id, assignment.roleId)}'
    scope: subscription(assignment.scope.subscriptionId)
    params: { name: nameOf(assignment, principalId), roleId: assignment.roleId, principalId: principalId }
    dependsOn: [definitions]
  }
]

module inGroups 'group-assignment.bicep' = [
  for assignment in filter(made, assignment => assignment.scope.type == groupType): {
    name: 'role-${guid(assignment.scope.id, assignment.roleId)}'
    scope: resourceGroup(assignment.scope.subscriptionId, split(assignment.scope.id, '/')[4])
    params: { name: nameOf(assignment, principalId), roleId: assignment.roleId, principalId: principalId }
    dependsOn: [definitions]
  }
]

module onResources 'resource-assignment.bicep' = [
  for assignment in filter(made, assignment => contains(assignment.scope.type, '.')): {
    name: 'role-${guid(assignment.scope.id, assignment.roleId)}'
    scope: resourceGroup(assignment.scope.subscriptionId, split(assignment.scope.id, '/')[4])
    params: {
      name: nameOf(assignment, principalId)
      roleId: assignment.roleId
      principalId: principalId
      resourceType: assignment.scope.type
      resourceName: last(split(assignment.scope.id, '/'))
    }
    dependsOn: [definitions]
  }
]

// In a POSIX shell nothing is special between single quotes but the single quote.
func quoted(text string) string => '\'${replace(text, '\'', '\'\\\'\'')}\''

// A PUT instead of "az role definition create": that command makes up the id of the role, and fails when the role
// exists. So the commands can be run again, and a later deployment with assignRoles finds its own roles.
func definitionCommand(role object) string =>
  'az rest --method put --url ${quoted('/subscriptions/${role.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${role.name}?api-version=2022-04-01')} --body ${quoted('{"properties":${string(role.properties)}}')}'

func assignmentCommand(name string, scope string, roleId string, principalId string) string =>
  'az role assignment create --name ${name} --assignee-object-id ${quoted(principalId)} --assignee-principal-type ServicePrincipal --role ${quoted(roleId)} --scope ${quoted(scope)}'

@description('What an administrator runs in a POSIX shell when assignRoles is false, one command each; else empty.')
output roleCommands string[] = assignRoles
  ? []
  : concat(
      map(ownAssignments, own => assignmentCommand(own.name, own.scope, own.roleId, principalId)),
      map(roles, role => definitionCommand(role)),
      map(assignments, assignment =>
        assignmentCommand(nameOf(assignment, principalId), assignment.scope.id, assignment.roleId, principalId)
      )
    )
